"""What `import tfeval` offers: a function for each thing that the command line does.

Commands read flags, call these, and print what they return.
"""
