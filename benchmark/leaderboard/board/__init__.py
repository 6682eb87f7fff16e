"""The board: entries, seasons, standings, and the page that shows them."""
