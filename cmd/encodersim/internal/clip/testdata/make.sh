#!/bin/sh
# Makes the small container files of the loader's tests: one second of 10
# pictures of 64x48 with B pictures and a second of a tone. Needs ffmpeg with
# libx264 and libx265. Run it in this folder.
set -eu
in="-v error -y -f lavfi -i testsrc2=size=64x48:rate=10:duration=1 -f lavfi -i sine=frequency=440:sample_rate=8000:duration=1"
x264="-pix_fmt yuv420p -c:v libx264 -preset veryslow -crf 45 -g 10 -bf 2 -bsf:v filter_units=remove_types=6"
x265="-pix_fmt yuv420p -c:v libx265 -crf 45 -x265-params log-level=error:keyint=10:bframes=2:info=0"
aac="-c:a aac -b:a 16k"
law="-c:a pcm_alaw"
exact="-fflags +bitexact -flags:v +bitexact -flags:a +bitexact"
ffmpeg $in $x264 $aac $exact plain.mp4
ffmpeg $in $x264 $aac $exact -movflags frag_keyframe+delay_moov+default_base_moof fragmented.mp4
ffmpeg $in $x264 $law $exact pcm.mov
ffmpeg $in $x265 -tag:v hvc1 $aac $exact h265.mp4
ffmpeg $in $x264 $aac $exact plain.mkv
ffmpeg $in $x265 $law $exact -f matroska - | cat > live.mkv # sizes unknown
