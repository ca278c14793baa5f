#!/bin/sh
# Makes the built-in clip in data/: four seconds of a generated test pattern and
# of a generated tone. Nothing in it was recorded; it is ours. Needs ffmpeg with
# libx264 and libx265. Run it in this folder.
#
# Four seconds hold a whole number of everything: 100 pictures at 25 fps, two
# groups of 50, 32000 samples of G.711 and 125 frames of AAC (1024 samples at
# 32 kHz), so picture and sound loop without a seam. The tone has a whole number
# of periods, and the AAC is cut from the second of three rounds, where the
# encoder's state is the same at both ends.
set -eu
mkdir -p data
seconds=4

picture() { # size
	echo "testsrc2=size=$1:rate=25:duration=$seconds"
}

h264() { # name size kbit/s
	ffmpeg -v error -y -f lavfi -i "$(picture "$2")" -pix_fmt yuv420p \
		-c:v libx264 -profile:v main -preset veryslow -threads 1 \
		-b:v "$3k" -maxrate "$3k" -bufsize "$3k" \
		-x264-params "keyint=50:min-keyint=50:scenecut=0:bframes=0:slices=1:sliced-threads=0:repeat-headers=1:aud=0" \
		-bsf:v filter_units=remove_types=6 -f h264 "data/$1.h264"
}

h265() { # name size kbit/s
	ffmpeg -v error -y -f lavfi -i "$(picture "$2")" -pix_fmt yuv420p \
		-c:v libx265 -preset slow \
		-b:v "$3k" -maxrate "$3k" -bufsize "$3k" \
		-x265-params "log-level=error:pools=1:frame-threads=1:keyint=50:min-keyint=50:scenecut=0:bframes=0:open-gop=0:repeat-headers=1:info=0" \
		-bsf:v filter_units=remove_types=39 -f hevc "data/$1.h265"
}

h264 main 640x360 420
h264 sub 320x180 110
h265 main 640x360 300
h265 sub 320x180 80

# A soft tone with a beep at every whole second.
tone="0.1*sin(2*PI*300*t)+0.4*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,0.1)"
ffmpeg -v error -y -f lavfi -i "aevalsrc=$tone:sample_rate=8000:duration=$seconds" \
	-c:a pcm_alaw -f alaw data/tone.alaw
ffmpeg -v error -y -f lavfi -i "aevalsrc=$tone:sample_rate=32000:duration=12" \
	-c:a aac -b:a 32k -frames:a 250 -f adts data/all.aac
# Keep frames 125 to 249 (an ADTS header carries the frame's length).
ffmpeg -v error -y -i data/all.aac -c copy -bsf:a "noise=drop=lt(n\\,125)" -f adts data/tone.aac
rm data/all.aac
ls -l data
