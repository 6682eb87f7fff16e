"""Nearest rendered latents: exact and approximate faiss indexes, tuned and cached."""
