"""The zoo: trained encoders that come with the package, and publication of further ones."""
