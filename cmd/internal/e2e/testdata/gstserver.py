"""An RTSP server made of GStreamer: gstserver.py USER PASSWORD VIDEO AUDIO TRANSPORT

VIDEO is h264, h264b (with B pictures) or h265; AUDIO is pcma, aac or none;
TRANSPORT, UDP or TCP, is the only one it grants. The stream is at /main, 320x180
at 25 pictures a second, behind digest authentication. It prints "port N" when it
serves, and ends on SIGINT.
"""
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

PICTURES = (
    "videotestsrc is-live=true pattern=ball"
    " ! video/x-raw,format=I420,width=320,height=180,framerate=25/1 ! queue ! "
)
X264 = "x264enc bitrate=800 key-int-max=50 speed-preset=superfast "
VIDEO = {
    "h264": X264 + "tune=zerolatency ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "h264b": X264 + "bframes=3 b-adapt=false rc-lookahead=5 sync-lookahead=0 sliced-threads=true"
    " ! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "h265": "x265enc bitrate=800 key-int-max=50 speed-preset=ultrafast tune=zerolatency"
    " ! rtph265pay name=pay0 pt=96 config-interval=-1",
}
SOUND = " audiotestsrc is-live=true wave=ticks ! audio/x-raw,channels=1,rate=%d ! queue ! "
AUDIO = {
    "pcma": SOUND % 8000 + "alawenc ! rtppcmapay name=pay1",
    "aac": SOUND % 16000 + "voaacenc ! rtpmp4gpay name=pay1 pt=97",
    "none": "",
}


def guard(server, factory, user, password):
    """Lets nobody see the stream but user with password, by digest (RFC 7616)."""
    auth = GstRtspServer.RTSPAuth.new()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", "viewer")
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions.new()
    permissions.add_role("viewer")
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main(user, password, video, audio, transport):
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch("( " + PICTURES + VIDEO[video] + AUDIO[audio] + " )")
    factory.set_protocols(getattr(GstRtsp.RTSPLowerTrans, transport))
    guard(server, factory, user, password)
    server.get_mount_points().add_factory("/main", factory)
    server.attach(None)
    print("port", server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, loop.quit)
    loop.run()


main(*sys.argv[1:])
