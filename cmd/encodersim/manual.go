package main

// manual is what -help prints.
const manual = `NAME
    encodersim - simulate ONVIF video encoders

SYNOPSIS
    encodersim [-codec h264|h265] [-audio pcma|aac|none] [-file FILE]
               [-http ADDR] [-rtsp ADDR] [-rtp-port N] [-discovery PLACE]...
               [-control ADDR] [-count N] [-fault FAULT]... [OPTION]...

DESCRIPTION
    Simulates one or several network video encoders well enough for a video
    recorder to find, log in to, record, steer and talk through them. Every
    picture carries its number and the time of its sending in an SEI message, so
    that the far end can count loss, duplication and reordering and measure
    latency. When the addresses are known one line for each encoder, or with
    -ready-json one line of JSON, is written to standard output; the log goes to
    standard error. SIGINT or SIGTERM ends it cleanly.

    Each encoder has two profiles, main and sub, at rtsp://HOST:PORT/main and
    /sub, over UDP or interleaved in TCP, with digest authentication.

IDENTITY
    -name NAME            name in its scopes and host name (encodersim)
    -manufacturer NAME    (District Gateway)
    -model NAME           (Simulated Encoder)
    -firmware VERSION     (1.0)
    -hardware ID          (SIM-1)
    -serial NUMBER        from the HTTP port if not given
    -mac ADDRESS          from the serial number if not given
    -scope URI            one more scope; may be repeated
    -user NAME            (admin)
    -password WORD        or in the environment as ENCODERSIM_PASSWORD; if there is
                          neither, a random one is made and printed when ready

ADDRESSES
    -http ADDR            ONVIF services (127.0.0.1:0, a free port)
    -rtsp ADDR            RTSP (127.0.0.1:0)
    -rtp-port N           even UDP port of RTP, RTCP being the next (a free pair)
    -multicast GROUP:PORT send by multicast, too, to readers that ask for it: to groups
                          from GROUP on (16 at most), on every interface that takes
                          multicast; PORT is the even one of RTP. Off by default.
    -discovery PLACE      where to answer WS-Discovery: an interface, such as lo or
                          eth0, to join 239.255.255.250 there on port 3702, shared
                          with other simulators; or an address and port, such as
                          127.0.0.11:3702, for probes sent to it. May be repeated
                          or comma-separated. Without it there is no discovery.
    -control ADDR         the control endpoint, see CONTROL. It asks for no
                          password: give it a loopback address. Off by default.
    -rtsp-sha256          offer SHA-256 digest in RTSP before MD5 (some players
                          cannot cope). ONVIF always offers both, and takes
                          WS-UsernameToken digests as well.

PICTURE AND SOUND
    -codec h264|h265      codec of the built-in test pattern: 640x360 and 320x180,
                          25 pictures a second, a key picture every two seconds
    -audio pcma|aac|none  the built-in sound, a beep each second. By default pcma,
                          or with -file what the file has.
    -file FILE            play an MP4 (plain or fragmented) or Matroska file with
                          H.264 or H.265 in both profiles, with its AAC or G.711
                          sound, over and over, of up to 256 MiB. Pictures are sent
                          in decoding order, timestamps are presentation times.
    -bitrate N            pad the main profile to N bit/s with filler data
    -key-on-play=false    Most encoders make a key picture for each new reader. So
                          does this one, by skipping ahead to the clip's next key
                          picture; time, numbers and sound keep in step. This turns
                          it off: readers wait for the next one, or ask for one
                          by RTCP (PLI, FIR) or ONVIF (SetSynchronizationPoint).
    -backchannel-out FILE write what is said on the audio back-channel, as raw
                          G.711 A-law at 8 kHz; FILE.2 and so on for further encoders
    -no-ptz               no PTZ service, nor the imaging service that moves the focus
    -no-zoom              a head that pans and tilts only: a command that names zoom
                          is refused, as by many such heads

MANY
    -count N              N encoders in this process, named NAME-1 and so on. Given
                          ports, serial number and MAC address are the first one's
                          and count up (RTP ports by two). They share the clip.

FAULTS
    -fault FAULT          cause a fault at the start; may be repeated. FAULT is a
                          name with parameters as in CONTROL, such as
                          silence?for=5s, and after=DURATION to wait before it.
    -reboot-time D        how long a reboot by ONVIF takes (10s)

CONTROL
    GET  /state                        all encoders: addresses, picture counts,
                                       sessions, head position, wiper, talk, requests
    POST /fault/silence?for=5s         no media; sessions stay, pictures count on
    POST /fault/reboot?for=10s         everything closed, then the same addresses.
                                       Picture numbers go on.
    POST /fault/loss?percent=2&for=10s lose media packets
    POST /fault/password[?to=WORD]     another password, a random one if not given;
                                       the answer tells it. Playing sessions go on.
    POST /fault/clock?off=24h          a wrong clock: device time, UsernameToken
                                       check, NTP time of sender reports. Times in
                                       the pictures' SEI stay true.
    POST /fault/timestamp?jump=10s     RTP timestamps jump, by a negative time also
    POST /fault/codec                  H.264 to H.265 or back: sessions are closed
                                       and must describe anew. With -file the other
                                       codec is the test pattern.
    POST /fault/size                   main and sub change places within the stream:
                                       new parameter sets, sessions stay
    POST /fault/none                   end silence, loss and the wrong clock
    All take encoder=N for one encoder, from 1. Errors are 400, or 409 if the
    encoder has no such pictures, with the reason in err.

OTHER
    -ready-json           report readiness as one line of JSON
    -quiet                log errors only
    -help                 this text

EXIT STATUS
    0 after a signal, 1 after an error, 2 for a wrong command line.

EXAMPLES
    encodersim -http 127.0.0.1:8001 -rtsp 127.0.0.1:8554 -discovery lo
    encodersim -count 16 -bitrate 4000000 -http 127.0.0.1:8001 -rtsp 127.0.0.1:8554
    encodersim -codec h265 -audio aac -control 127.0.0.1:9000 -ready-json
    curl -X POST '127.0.0.1:9000/fault/silence?for=5s'
`
