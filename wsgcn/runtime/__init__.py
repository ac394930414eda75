"""How work is done: devices, seeds, worker processes, progress on the screen, the template of a per-image stage."""
