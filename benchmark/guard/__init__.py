"""Guard: synthetic encoders of known structure, and what every metric says of them."""
