"""The proxy between one robot and policies that it cannot tell apart."""
