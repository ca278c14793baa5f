package encoder

import (
	"testing"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/pion/rtcp"

	"districtgateway/media/digest"
	"districtgateway/media/onvif"
)

// TestKeyPictureComesWhenItIsAskedFor: by a reader's PLI and FIR, and by ONVIF.
func TestKeyPictureComesWhenItIsAskedFor(t *testing.T) {
	e := start(t, func(c *Config) { c.KeyOnPlay = false })
	v := watch(t, e, "main", gortsplib.ProtocolTCP)
	for name, ask := range map[string]func() error{
		"PLI": func() error { return v.WritePacketRTCP(v.desc.Medias[0], &rtcp.PictureLossIndication{SenderSSRC: 1}) },
		"FIR": func() error {
			return v.WritePacketRTCP(v.desc.Medias[0], &rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SequenceNumber: 1}}})
		},
		"ONVIF": func() error {
			c, err := onvif.New(onvif.Config{Address: e.ONVIF(), User: "admin", Password: digest.Secret("secret"), Insecure: true})
			if err != nil {
				return err
			}
			defer c.Close()
			return c.KeyFrame(t.Context(), onvif.Profile{Token: "main"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for !v.next(t).key { // the next one of its own accord is as far away as can be
			}
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			n := 1
			for ; !v.next(t).key; n++ {
			}
			if n > 12 {
				t.Errorf("%d pictures until one is a key picture", n)
			}
		})
	}
	if a := e.State().Asked; a.RTCP != 2 || a.ONVIF != 1 {
		t.Errorf("counted %+v", a)
	}
}
