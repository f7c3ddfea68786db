"""A study in pieces, which workers on many machines do in any order."""
