"""The board: entries, standings, seasons' rows and the page that shows them."""
