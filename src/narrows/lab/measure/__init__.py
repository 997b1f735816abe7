"""What the studies are judged by: real files and their bytes, quality on 8-bit pictures, conventional codecs, PCA."""
