"""Tables of the paper, run row by row and compared with the reported figures."""
