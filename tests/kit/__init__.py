"""What the end-to-end tests share: the command, data, models, files, servers."""
