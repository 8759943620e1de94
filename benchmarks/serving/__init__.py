"""Servers of policies side by side: ours, a stand-in of openpi's, and bare ZeroMQ, under the same clients."""
