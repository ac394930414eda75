"""Dense CRF refinement into complete pseudo labels."""
