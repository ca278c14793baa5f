package manscdp

import (
	"strings"
	"testing"
)

const (
	system = "33010200002000000001"
	group  = "33010200002150000001"
	org    = "33010200002160000001"
	subOrg = "33010200002160000002"
	nvr    = "33010200001180000001"
)

func TestKindOf(t *testing.T) {
	for id, want := range map[string]NodeKind{
		"33": NodeRegion, "3301": NodeRegion, "330102": NodeRegion, "33010203": NodeRegion, "330": NodeDevice, "3301020304": NodeDevice,
		system: NodeSystem, group: NodeGroup, org: NodeOrg, nvr: NodeDevice, camera: NodeDevice, "": NodeDevice, "ab": NodeDevice,
		"3301020000200000000x": NodeDevice, "330102000020100000": NodeDevice,
	} {
		if got := KindOf(id); got != want {
			t.Errorf("KindOf(%q) = %d, want %d", id, got, want)
		}
	}
}

// encodeItem returns an item as it is written in a response, without line ends.
func encodeItem(t *testing.T, i Item, v Version) string {
	t.Helper()
	body, err := Encode(&CatalogResponse{Items: []Item{i}}, Profile{Version: v, Charset: UTF8})
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(strings.ReplaceAll(string(body), "\r\n", ""), "<Item>")
	item, _, _ := strings.Cut(rest, "</Item>")
	return item
}

// Each kind of node carries what the edition wants of it and nothing else.
func TestNodesCarryOnlyWhatTheyMust(t *testing.T) {
	full := gate2016()
	full.Info.GrassrootsCode = "001203"
	as := func(id, parent string) Item {
		i := full
		i.DeviceID, i.ParentID = id, parent
		return i
	}
	bare := "<DeviceID>" + org + "</DeviceID><Name>Gate-01</Name>"
	info := "<Info><BusinessGroupID>" + group + "</BusinessGroupID></Info>"
	for name, tc := range map[string]struct {
		item    Item
		version Version
		want    string
	}{
		"region":                      {as("330102", nvr), Version2022, "<DeviceID>330102</DeviceID><Name>Gate-01</Name>"},
		"region before 2022":          {as("33010203", ""), Version2016, "<DeviceID>33010203</DeviceID><Name>Gate-01</Name>"},
		"group":                       {as(group, system), Version2016, "<DeviceID>" + group + "</DeviceID><Name>Gate-01</Name><CivilCode>330102</CivilCode><ParentID>" + system + "</ParentID>"},
		"organisation of a group":     {as(org, group), Version2022, bare + "<BusinessGroupID>" + group + "</BusinessGroupID>"},
		"organisation of another":     {as(org, group+"/"+subOrg), Version2022, bare + "<ParentID>" + subOrg + "</ParentID><BusinessGroupID>" + group + "</BusinessGroupID>"},
		"organisation until 2016":     {as(org, ""), Version2016, bare + "<ParentID>" + group + "</ParentID>" + info},
		"sub-organisation until 2016": {as(org, subOrg), Version2011, bare + "<ParentID>" + subOrg + "</ParentID>" + info},
	} {
		if got := encodeItem(t, tc.item, tc.version); got != tc.want {
			t.Errorf("%s: %s\nwant %s", name, got, tc.want)
		}
	}
}

// A device always carries the mandatory fields, never an empty CivilCode or a
// password, and no field of another edition.
func TestBareDeviceCarriesTheMandatoryFields(t *testing.T) {
	bare := Item{DeviceID: camera}
	modern := "<DeviceID>" + camera + "</DeviceID><Name></Name><Manufacturer></Manufacturer><Model></Model><Address></Address>" +
		"<Parental>0</Parental><RegisterWay>1</RegisterWay><Secrecy>0</Secrecy><Status>OFF</Status>"
	if got := encodeItem(t, bare, Version2022); got != modern {
		t.Errorf("2022: %s", got)
	}
	legacy := strings.Replace(strings.Replace(modern, "<Address>", "<Owner></Owner><Address>", 1), "<RegisterWay>", "<SafetyWay>0</SafetyWay><RegisterWay>", 1)
	if got := encodeItem(t, bare, Version2016); got != legacy {
		t.Errorf("2016: %s", got)
	}
}

func TestBusinessGroupIsReadInBothPlaces(t *testing.T) {
	for name, item := range map[string]string{
		"beside Info": "<BusinessGroupID>" + group + "</BusinessGroupID><Info><PTZType>1</PTZType></Info>",
		"in Info":     "<Info><BusinessGroupID>" + group + "</BusinessGroupID></Info>",
		"in both":     "<BusinessGroupID>" + group + "</BusinessGroupID><Info><BusinessGroupID>other</BusinessGroupID></Info>",
	} {
		m, err := Decode([]byte(page("<Item><DeviceID>" + camera + "</DeviceID>" + item + "</Item>" + pageTail)))
		if err != nil || m.(*CatalogResponse).Items[0].BusinessGroupID != group {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}
