# Runs inside the emulated machine: `reid` against vivid, the kernel's own test camera. One line a
# check, `ok NAME` or `FAILED NAME` with what the program said, and `checks: N failed` at the end.
cd /tmp || exit
FAILED=0
MODEL="--model /data/figures.onnx --threshold 0.5 --boxes whole --device tract --json"

load() { # parameters of vivid: by default one webcam and nothing else
    n=0
    while grep -q '^vivid ' /proc/modules && ! rmmod vivid 2> /dev/null && [ $n -lt 50 ]; do
        sleep 0.2; n=$((n + 1))
    done
    insmod /modules/vivid.ko node_types=0x1,0x1 num_inputs=1,1 input_types=0,0 "$@" || echo "FAILED load $*"
    sleep 0.3
}
set_control() { v4l2-ctl -d "${DEVICE:-/dev/video0}" --set-ctrl "$@"; }
begin() { NAME=$1; BAD=; CODE=; : > out; : > err; }
run() { timeout 60 reid run $MODEL "$@" > out 2> err; CODE=$?; }
start() { timeout 60 reid run $MODEL "$@" > out 2> err & JOB=$!; }
finish() { wait $JOB; CODE=$?; }
fail() { BAD="$BAD; $1"; }
frames() { wc -l < out; }
until_frames() { # waits for so many lines, at most for 30 s
    n=0; while [ "$(frames)" -lt "$1" ] && [ $n -lt 150 ]; do sleep 0.2; n=$((n + 1)); done
    [ "$(frames)" -ge "$1" ] || fail "$(frames) lines in 30 s, wanted $1"
}
until_said() { n=0; while ! grep -q -- "$1" err && [ $n -lt 150 ]; do sleep 0.2; n=$((n + 1)); done; said "$1"; }
said() { grep -q -- "$1" err || fail "did not say '$1'"; }
wrote() { grep -q -- "$1" out || fail "did not write '$1'"; }
lines() { [ "$(frames)" -eq "$1" ] || fail "$(frames) lines, wanted $1"; }
code() { [ "$CODE" -eq "$1" ] || fail "exit code $CODE, wanted $1"; }
end() {
    if grep -q panicked err; then fail "panicked"; fi
    if [ -z "$BAD" ]; then echo "ok $NAME"; return; fi
    echo "FAILED $NAME$BAD"; FAILED=$((FAILED + 1))
    head -n 3 out | cut -c 1-300; tail -n 20 err | cut -c 1-400
}
# Something done to the camera while it is read: it must say so, and frames must come after it.
while_running() { # name, what it says, exit code, what is done
    begin "$1"; start /dev/video0 --max-frames 25; until_frames 4; shift
    WANTED=$1; EXIT=$2; shift 2; "$@"; finish
    lines "${LINES_WANTED:-25}"; code "$EXIT"; [ -z "$WANTED" ] || said "$WANTED"; end
}

load n_devs=1

begin "doctor lists the camera"; reid doctor > out 2> err; CODE=$?; code 0; wrote '/dev/video0 *vivid-000-vid-cap: .*YUYV .*1280x720'; end
begin "by path"; run /dev/video0 --max-frames 5; code 0; lines 5; wrote '"source":"/dev/video0".*"box":\[0.0,0.0,1280.0,720.0\]'; end
begin "by a part of its name"; run camera:vid-cap --max-frames 3; code 0; lines 3; end
begin "demo"; timeout 60 reid demo --camera --max-frames 40 --out demo > out 2> err; CODE=$?; code 0
said 'watching /dev/video0'; wrote 'only ever seen rendered people'; wrote 'in 40 frames; nobody was kept'; end
begin "demo, unplugged and back"; timeout 60 reid demo --camera --max-frames 60 --out demo > out 2> err & JOB=$!
until_said 'watching /dev/video0'; sleep 1; set_control disconnect=1; finish; code 3; said 'has gone'; wrote 'in 60 frames; nobody was kept'; end
load n_devs=1
begin "no such path"; run /dev/video7; code 1; said 'no such camera'; end
begin "no such name"; run camera:nobody; code 1; said 'no such camera'; end

# One test picture, without colours for the last; the numbers in it go on, so it is never the same.
set_control test_pattern=0
rm -f known.redb
for format in YUYV NV12 MJPG GREY; do
    begin "$format"; [ $format != GREY ] || { set_control saturation=0; rm -f known.redb; run /dev/video0 --max-frames 1 --gallery known.redb; }
    printf '[[camera]]\nsource = "/dev/video0"\nformat = "%s"\nwidth = 1280\nheight = 720\n' $format > config.toml
    run --config config.toml --max-frames 3 --gallery known.redb; code 0; lines 3
    case $format in
        YUYV) wrote '"state":"new"' ;;
        *) if grep -qv '"state":"seen"' out || ! grep -q '"similarity":\(0\.99\|1\.0\)' out; then fail "not the picture that YUYV shows"; fi ;;
    esac
    [ $format != MJPG ] || said 'asked for MJPG 1280 x 720, it gives YUYV 1280 x 720'
    end
done
set_control saturation=128

for size in "1000 77 YUYV 640 x 360" "320 180 GREY 320 x 180" "640 480 NV12 640 x 480"; do
    set -- $size; begin "size $1 x $2 in $3"
    printf '[[camera]]\nsource = "/dev/video0"\nformat = "%s"\nwidth = %d\nheight = %d\n' $3 $1 $2 > config.toml
    run --config config.toml --max-frames 2; code 0; lines 2; wrote "\"box\":\[0.0,0.0,$4.0,$6.0\]"
    [ "$1" = "$4" ] || said "asked for $3 $1 x $2, it gives $3 $4 x $6"; end
done

begin "settings"
printf '[[camera]]\nsource = "/dev/video0"\nfps = 5\n[camera.controls]\nbrightness = 33\ntest_pattern = 6\n' > config.toml
run --config config.toml --max-frames 3; code 0; lines 3
v4l2-ctl -d /dev/video0 --get-ctrl brightness,test_pattern --get-parm > out
wrote 'brightness: 33'; wrote 'test_pattern: 6'; wrote 'second: 5.000'; end
for setting in "brightnes = 33|no setting .brightnes.; it has brightness (0 to 255)" "brightness = 333|brightness (0 to 255) cannot be 333"; do
    begin "setting ${setting%|*}"; printf '[[camera]]\nsource = "/dev/video0"\n[camera.controls]\n%s\n' "${setting%|*}" > config.toml
    run --config config.toml --max-frames 3; code 1; said "${setting#*|}"; end
done
load n_devs=1

begin "unplugged and back"; start /dev/video0 --max-frames 25; until_frames 4; set_control disconnect=1; finish
lines 25; code 3; said 'has gone.*next try is in 0.5 s'; said 'disconnected 1 x'; end
unbind() { echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind; sleep 2; echo vivid.0 > /sys/bus/platform/drivers/vivid/bind; }
while_running "taken from its driver and back" 'no such camera.*next try is in 1 s' 3 unbind
while_running "the driver stops" 'next try is in 0.5 s' 3 set_control inject_fatal_streaming_error=1
LINES_WANTED=24 while_running "a damaged frame" 'says that it is damaged' 3 set_control inject_v4l2_buf_flag_error=1
while_running "a buffer is refused" 'refuses to give a frame.*next try is in 0.5 s' 3 set_control inject_vidioc_qbuf_error=1
begin "no start"; set_control inject_vidioc_streamon_error=1; run /dev/video0 --max-frames 4; lines 4; end
begin "no buffers"; set_control inject_vidioc_reqbufs_error=1; run /dev/video0 --max-frames 4; lines 4; end
begin "frames that the driver drops"; set_control percentage_of_dropped_buffers=50
run /dev/video0 --max-frames 20; code 0; lines 20; said 'frame without a buffer'; end
set_control percentage_of_dropped_buffers=0
silence() { set_control percentage_of_dropped_buffers=100; until_said 'gave no frame in 5s'; set_control percentage_of_dropped_buffers=0; }
while_running "silent, then not" 'gave no frame in 5s' 3 silence

begin "ended by a signal"; start /dev/video0; until_frames 3; kill $JOB; finish; code 0; said 'observations of'; end

begin "taken by another program"
v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=1000 > /dev/null 2>&1 & OTHER=$!
sleep 1; start /dev/video0 --max-frames 4; until_said 'another program uses the camera.*in 2 s'; kill $OTHER; finish; lines 4; code 3; end
begin "taken by this program"
: > other; timeout 30 reid run $MODEL /dev/video0 --max-frames 30 > other 2>&1 & OTHER=$!
n=0; while [ "$(wc -l < other)" -lt 4 ] && [ $n -lt 100 ]; do sleep 0.2; n=$((n + 1)); done
start /dev/video0 --max-frames 4; finish; wait $OTHER || fail "the first one: $?"; lines 4; code 3; said 'another program uses the camera'; end

load n_devs=2
printf '[[camera]]\nsource = "/dev/video0"\nname = "door"\n[[camera]]\nsource = "camera:vivid-001"\nname = "till"\n' > config.toml
begin "two cameras"; run --config config.toml --max-frames 20; code 0
for name in door till; do [ "$(grep -c "\"source\":\"$name\"" out)" -ge 8 ] || fail "less than 8 frames of the $name"; done; end
begin "two cameras, one unplugged and back"; start --config config.toml --max-frames 60; until_frames 10
DEVICE=/dev/video1 set_control disconnect=1; until_said 'has gone'; finish; code 3
tail -n 8 out > last; for name in door till; do grep -q "\"source\":\"$name\"" last || fail "no frame of the $name at the end"; done; end

load n_devs=1 node_types=0xe1d3d
begin "what else the driver has"; run camera:vivid --max-frames 3; code 0; lines 3
reid doctor > out; [ "$(grep -c '^/dev/video' out)" -eq 1 ] || fail "doctor lists what is no camera"; end
begin "a device without pictures"; run /dev/video1; code 1; said 'gives no pictures'; end
load n_devs=1 multiplanar=2
begin "multi-planar"; run /dev/video0; code 1; said 'multi-planar'; end

echo "checks: $FAILED failed"
