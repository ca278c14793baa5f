"""An RTSP player made of GStreamer: gstplayer.py URL USER PASSWORD TRANSPORT CODEC FILE

TRANSPORT is tcp or udp, CODEC h264 or h265. It saves the pictures as they are and
decodes the sound. It prints "playing" once it has both, every error and warning,
and "ended" when SIGINT has ended it in order.
"""
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

url, user, password, transport, codec, path = sys.argv[1:]
Gst.init(None)
loop = GLib.MainLoop()
pipeline = Gst.parse_launch(
    f"rtspsrc name=source location={url} user-id={user} user-pw={password} protocols={transport} "
    f"rtp{codec}depay name=video ! {codec}parse ! video/x-{codec},stream-format=byte-stream,alignment=au "
    f"! filesink buffer-mode=2 location={path} "
    "decodebin name=audio ! fakesink sync=false"
)
linked = []


def added(_, pad):
    medium = pad.query_caps(None).get_structure(0).get_string("media")
    result = pad.link(pipeline.get_by_name(medium).get_static_pad("sink"))
    if result != Gst.PadLinkReturn.OK:
        print("ERROR: linking", medium, result, flush=True)
    linked.append(medium)
    if len(linked) == 2:
        print("playing", flush=True)


def told(_, message):
    if message.type == Gst.MessageType.EOS:
        print("ended", flush=True)
        loop.quit()
    elif message.type in (Gst.MessageType.ERROR, Gst.MessageType.WARNING):
        kind = "error" if message.type == Gst.MessageType.ERROR else "warning"
        print(kind.upper() + ":", getattr(message, "parse_" + kind)(), flush=True)


pipeline.get_by_name("source").connect("pad-added", added)
bus = pipeline.get_bus()
bus.add_signal_watch()
bus.connect("message", told)
GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGINT, lambda: pipeline.send_event(Gst.Event.new_eos()))
pipeline.set_state(Gst.State.PLAYING)
loop.run()
pipeline.set_state(Gst.State.NULL)
