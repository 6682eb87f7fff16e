"""A process without files, network or rights, in which encoders of strangers run."""
