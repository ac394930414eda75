"""MLflow: a view of what DVC made, one run per method, never a switch.

Whatever is wrong with the store is one warning, and the pipeline goes on. MLflow is imported when there is something to
log, not before, and live curves are sent by a thread of their own: a stage never waits for them.
"""
