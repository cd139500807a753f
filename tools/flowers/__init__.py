"""Drawings of ten flowers, and networks fitted to them in seconds: what the tutorials begin with.

No photographs are used and nothing is downloaded. The networks are no substitute for trained ones: their convolutions
are random, and only the last layers are fitted. Their batch norms have seen the drawings, as those of a trained network
have seen its training images, and that is what the tutorials need.
"""

from flowers.drawing import CLASSES, drawings

__all__ = ["CLASSES", "drawings"]
