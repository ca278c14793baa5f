package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bus is one [[bus]] table.
type Bus struct {
	Name  string `toml:"name" doc:"Name by which encoders refer to it." example:"yard" need:"yes"`
	Port  string `toml:"port" doc:"Device of the serial port." example:"/dev/ttyS1" need:"yes"`
	Baud  int    `toml:"baud" doc:"Bits a second, as on the switches of every dome: 1200, 2400, 4800, 9600, 19200, 38400, 57600 or 115200. 8 data bits, no parity, 1 stop bit." default:"2400"`
	RS485 bool   `toml:"rs485" doc:"Have the kernel switch the port between sending and listening, where its driver can and the adapter does not do it by itself."`
}

// Dome is the dome table of an [[encoder]].
type Dome struct {
	Bus      string `toml:"bus" doc:"Name of its [[bus]]." example:"yard" need:"yes"`
	Protocol string `toml:"protocol" doc:"pelco-d or pelco-p." default:"pelco-d"`
	Address  int    `toml:"address" doc:"Address as on its switches, of which no other dome of the bus may be set to the same: 1 to 255, 1 to 32 with pelco-p. Count from 1, even if pelco-p counts from 0 on the wire." example:"3" need:"yes"`
}

// mostAddress is the highest address of each protocol.
var mostAddress = map[string]int{"pelco-d": 255, "pelco-p": 32}

func (b *Bus) validate(f faults) {
	if b.Name == "" {
		f.add("name", "", "want a name, by which encoders refer to it")
	}
	if !strings.HasPrefix(b.Port, "/") {
		f.add("port", b.Port, "want the path of a serial port, such as /dev/ttyS1")
	}
	if bauds := []int{1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200}; !slices.Contains(bauds, b.Baud) {
		f.add("baud", strconv.Itoa(b.Baud), "want "+strings.Trim(strings.ReplaceAll(fmt.Sprint(bauds), " ", ", "), "[]"))
	}
}

// validate checks a dome; buses are the names that there are.
func (d *Dome) validate(f faults, buses []string) {
	if !slices.Contains(buses, d.Bus) {
		want := "want the name of a [[bus]]"
		if near := nearest(d.Bus, buses); near != "" {
			want = fmt.Sprintf("no such bus; did you mean %q?", near)
		}
		f.add("bus", d.Bus, want)
	}
	f.oneOf("protocol", d.Protocol, "pelco-d", "pelco-p")
	if most, known := mostAddress[d.Protocol]; known && (d.Address < 1 || d.Address > most) {
		f.add("address", strconv.Itoa(d.Address), fmt.Sprintf("want 1 to %d", most))
	}
}

// validateBuses checks the buses and the domes on them.
func (f *File) validateBuses(all faults) {
	var names []string
	for i := range f.Buses {
		f.Buses[i].validate(all.at("bus", i))
		names = append(names, f.Buses[i].Name)
	}
	for i, e := range f.Encoders {
		if e.Dome != nil {
			e.Dome.validate(all.at("encoder", i).in("dome"), names)
		}
	}
}
