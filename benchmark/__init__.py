"""The benchmark: training of encoders, scores, suites of the paper's tables, and leaderboard."""
