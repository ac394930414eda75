"""How the cells of a photograph are related: affinity networks, sparse graphs, node features."""
