"""An HTTP server."""
