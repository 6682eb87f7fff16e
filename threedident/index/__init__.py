"""Search for the nearest rendered latents, by exact and approximate faiss indexes."""
