"""The paper's tables, run row by row and set beside the reported figures."""
