"""A camera's microphone by GStreamer's RTSP server: python3 rtsp_server.py PORT. It says "ready" when it is."""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 (the versions come first)

SOUND = (
    "audiotestsrc is-live=true wave=pink-noise ! audio/x-raw,format=S16BE,rate=16000,channels=1 ! rtpL16pay name=pay0"
)

if __name__ == "__main__":
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    factory.set_launch(f"( {SOUND} )")
    server.get_mount_points().add_factory("/sound", factory)
    if not server.attach(None):
        sys.exit(f"port {sys.argv[1]} is taken")
    print("ready", flush=True)
    GLib.MainLoop().run()
