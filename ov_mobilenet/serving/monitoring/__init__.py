"""What a server reports: statistics, metrics, the log and the figures of the live page."""
