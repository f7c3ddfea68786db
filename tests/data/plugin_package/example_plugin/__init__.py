"""What an entry point names is imported when it is asked for, and nothing before."""
