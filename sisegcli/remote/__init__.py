"""Folders that lie in object stores or on web servers: listed, fetched as they are needed, uploaded when they are done.

urls    which paths are URLs, and the file systems (fsspec's) that they lead to
mirror  a local folder in which every URL has a place
"""
