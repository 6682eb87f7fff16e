"""The sandbox: a process without files, network or rights that runs untrusted encoders."""
