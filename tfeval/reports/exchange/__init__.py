"""Runs as files that other tools read: model cards of the Hub, tables, Markdown."""
