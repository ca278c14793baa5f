package manscdp

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// allMessages returns an empty value of every type with a root and CmdType.
func allMessages() []Message {
	return []Message{
		&DeviceControl{}, &DeviceConfig{},
		&CatalogQuery{}, &DeviceInfoQuery{}, &DeviceStatusQuery{}, &RecordInfoQuery{}, &ConfigDownloadQuery{}, &PresetQuery{},
		&AlarmQuery{}, &MobilePositionQuery{}, &HomePositionQuery{}, &PTZPositionQuery{}, &SDCardStatusQuery{},
		&CruiseTrackListQuery{}, &CruiseTrackQuery{},
		&Keepalive{}, &CatalogNotify{}, &AlarmNotify{}, &MobilePositionNotify{}, &MediaStatus{}, &BroadcastNotify{},
		&UpgradeResult{}, &SnapShotFinished{}, &VideoUploadNotify{}, &PTZPositionNotify{},
		&CatalogResponse{}, &DeviceInfoResponse{}, &DeviceStatusResponse{}, &RecordInfoResponse{}, &ConfigDownloadResponse{},
		&PresetResponse{}, &AlarmResponse{}, &BroadcastResponse{}, &DeviceControlResponse{}, &DeviceConfigResponse{},
		&HomePositionResponse{}, &PTZPositionResponse{}, &SDCardStatusResponse{}, &CruiseTrackListResponse{}, &CruiseTrackResponse{},
	}
}

func allCommands() []Command {
	return []Command{
		&PTZCommand{}, &TeleBoot{}, &Recording{}, &Guard{}, &AlarmReset{}, &KeyFrame{}, &DragZoom{}, &HomePosition{},
		&PTZPrecise{}, &DeviceUpgrade{}, &FormatSDCard{}, &TargetTrack{},
	}
}

func TestDispatchMatchesNames(t *testing.T) {
	for _, m := range allMessages() {
		root, cmd := NameOf(m)
		got := newMessage(root, strings.ToLower(cmd))
		if reflect.TypeOf(got) != reflect.TypeOf(m) {
			t.Errorf("%s %s is a %T, want %T", root, cmd, got, m)
		}
	}
}

// filler fills a message with random values that survive a trip exactly.
type filler struct{ *rand.Rand }

var words = []string{"北门", "㙍头镇", "𠮷祥路", "A & B", "<gate>", "R\"1'", "Gate-01", "]]>", "&amp;", "a\nb", "€", "33010200001320000001", "1/2"}

func (f filler) text() string {
	return words[f.IntN(len(words))] + words[f.IntN(len(words))]
}

func (f filler) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(f.Int64N(4e9)+1, 0).UTC()))
		return
	case Damage:
		return
	case Result:
		v.SetUint(uint64(1 + f.IntN(2)))
		return
	case Status:
		v.SetUint(uint64(1 + f.IntN(2)))
		return
	case Event:
		v.SetUint(uint64(EventAdd))
		return
	}
	if v.Type() == reflect.TypeFor[Command]() {
		v.Set(f.command())
		return
	}
	f.fillKind(v)
}

func (f filler) command() reflect.Value {
	all := allCommands()
	c := reflect.ValueOf(all[f.IntN(len(all))])
	f.fill(c.Elem())
	return c
}

func (f filler) fillKind(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.text())
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Int:
		v.SetInt(f.Int64N(1 << 31))
	case reflect.Int64:
		v.SetInt(f.Int64() - 1<<62)
	case reflect.Float64:
		v.SetFloat(float64(f.Int64N(1e9)-5e8) / 1e4)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+f.IntN(3), 3))
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Struct:
		f.fillStruct(v)
	}
}

// fillStruct leaves out optional values now and then.
func (f filler) fillStruct(v reflect.Value) {
	set := v.FieldByName("Set")
	if set.IsValid() && f.IntN(4) == 0 {
		return
	}
	for i := range v.NumField() {
		f.fill(v.Field(i))
	}
	if set.IsValid() {
		set.SetBool(true)
	}
}

// settle makes a filled message one that its edition can carry.
func settle(m Message, v Version) {
	switch m := m.(type) {
	case *Keepalive:
		m.Off = false
	case *CatalogResponse:
		for i := range m.Items {
			m.Items[i].Event = EventNone
			settleItem(&m.Items[i], v)
		}
	case *CatalogNotify:
		for i := range m.Items {
			settleItem(&m.Items[i], v)
		}
	case *RecordInfoQuery:
		if v != Version2022 {
			m.StreamNumber, m.AlarmMethod, m.AlarmType = Opt[int]{}, "", ""
		}
	case *RecordInfoResponse:
		for i := range m.Records {
			r := &m.Records[i]
			r.Secrecy = Some(r.Secrecy.Value)
			if v != Version2022 {
				r.StreamNumber = Opt[int]{}
			}
		}
	case *MobilePositionNotify:
		if v != Version2022 {
			p := m.Positions[0]
			p.DeviceID, p.Captured, p.Longitude, p.Height = m.DeviceID, m.Time, Some(p.Longitude.Value), Opt[float64]{}
			m.Positions, m.SumNum = []Position{p}, 1
		}
	case *PresetResponse:
		if v != Version2022 {
			m.SumNum = len(m.Presets)
		}
	case *ConfigDownloadQuery:
		m.Types = []string{"BasicParam", "VideoParamOpt"}
	case *BroadcastNotify:
		m.DeviceID = ""
	}
}

func settleItem(i *Item, v Version) {
	i.DeviceID = camera
	i.Parental, i.RegisterWay, i.Secrecy = Some(i.Parental.Value), Some(i.RegisterWay.Value), Some(i.Secrecy.Value)
	if v == Version2022 {
		i.Legacy = Legacy{}
		i.Info.PositionType, i.Info.UseType = Opt[int]{}, Opt[int]{}
		return
	}
	i.SafetyWay = Some(i.SafetyWay.Value)
	i.SecurityLevelCode = ""
	i.Info.Site = Site{}
	i.Info.Streams.StreamNumberList, i.Info.SSVCRatioSupportList, i.Info.EncodeType, i.Info.RecordSaveDays = "", "", "", Opt[int]{}
	o := &i.Info.Optics
	o.PhotoelectricImagingType, o.CapturePositionType = "", ""
	o.HorizontalFieldAngle, o.VerticalFieldAngle, o.MaxViewDistance = Opt[float64]{}, Opt[float64]{}, Opt[float64]{}
}

func TestRoundTripKeepsEverything(t *testing.T) {
	f := filler{rand.New(rand.NewPCG(28181, 2022))}
	for round := range 60 {
		for _, m := range allMessages() {
			p := Profile{Version: Version(f.IntN(3)), Charset: Charset(f.IntN(4))}
			f.fill(reflect.ValueOf(m).Elem())
			settle(m, p.Version)
			body, err := Encode(m, p)
			if err != nil {
				t.Fatalf("round %d, %T: %v", round, m, err)
			}
			got, err := DecodeAs(body, p.charset())
			if err != nil {
				t.Fatalf("round %d, %T: %v\n%s", round, m, err, body)
			}
			if diff := cmp.Diff(m, got); diff != "" {
				t.Fatalf("round %d, %T for %+v (-want +got)\n%s\n%s", round, m, p, diff, body)
			}
		}
	}
}

func TestEncodeRefusesWhatCannotBeWritten(t *testing.T) {
	long := []string{strings.Repeat("门", MaxExtraInfo+1)}
	for name, tc := range map[string]struct {
		message Message
		profile Profile
		want    error
	}{
		"no command":          {&DeviceControl{}, Profile{}, ErrNoCommand},
		"extra info":          {&DeviceInfoResponse{Extra: long}, Profile{}, ErrExtraInfo},
		"many extra info":     {&DeviceInfoResponse{Extra: make([]string, MaxExtraInfos+1)}, Profile{}, ErrExtraInfo},
		"two positions":       {&MobilePositionNotify{Positions: make([]Position, 2)}, Profile{}, ErrFlatPosition},
		"position of another": {&MobilePositionNotify{Head: head("1", lower), Positions: []Position{{DeviceID: camera, Latitude: Some(1.)}}}, Profile{}, ErrFlatPosition},
		"not a number":        {order(&PTZPrecise{Pan: Some(math.NaN())}), Profile{}, ErrNotFinite},
		"too many items":      {&CatalogResponse{Items: make([]Item, MaxItems+1)}, Profile{}, ErrTooLarge},
		"too many bytes":      {&CatalogResponse{Items: make([]Item, MaxItems)}, v2022, ErrTooLarge},
		"no root":             {&Unknown{CmdType: "x"}, Profile{}, ErrRoot},
	} {
		t.Run(name, func(t *testing.T) {
			if body, err := Encode(tc.message, tc.profile); err == nil || !errors.Is(err, tc.want) {
				t.Errorf("%.80q, %v, want %v", body, err, tc.want)
			}
		})
	}
}

func TestExtraInfoOfExactlyTheLimitPasses(t *testing.T) {
	m := &DeviceInfoResponse{Extra: []string{strings.Repeat("门", MaxExtraInfo)}}
	body, err := Encode(m, v2022)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(body)
	if diff := cmp.Diff(Message(m), got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
