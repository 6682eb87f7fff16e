"""Sources of users, given as plugins: how they are made, and checks of all that they give."""
