"""What to make, as pure data: recipes, the prompt language, and their forms on disk. Imports no torch, numpy
or PIL.
"""
