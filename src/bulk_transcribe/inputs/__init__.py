"""From what the user gave to videos: links, text, spreadsheets, JSON, playlists, channels."""
