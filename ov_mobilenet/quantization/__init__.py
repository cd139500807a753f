"""From float IRs to INT8 ones."""
