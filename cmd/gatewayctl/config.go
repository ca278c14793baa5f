package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
)

func configVerb() *verb {
	return &verb{
		name: "config", args: "check FILE | show | diff FILE", least: 1, most: 2, summary: "check, show or compare configurations",
		about: `check FILE   reads a configuration file and tells all its faults at once, each
             with its line. It needs no daemon.
show         writes the configuration in force, defaults included, as TOML.
             Passwords show as ***.
diff FILE    tells what FILE would change: "+ key" is new, "- key" goes away,
             "~ key" has another value. Passwords show that they differ, not how.

FILE may be - for standard input. Every setting is described in
docs/configuration.md.
`,
		example: "gatewayctl config check /etc/gateway/gateway.toml\ngatewayctl config show > now.toml\ngatewayctl config diff new.toml\n",
		run: func(ctx context.Context, c *call) error {
			action, files := c.args[0], c.args[1:]
			c.what = "config " + action
			switch {
			case (action == "check" || action == "diff") && len(files) == 0:
				return usagef("%s: want FILE", action)
			case action == "show" && len(files) > 0:
				return usagef("show: unexpected argument %q", files[0])
			case action == "check":
				return c.checkConfig(files[0])
			case action == "diff":
				return c.diffConfig(ctx, files[0])
			case action == "show":
				return c.showConfig(ctx)
			}
			return usagef("%q: want check, show or diff", action)
		},
	}
}

// A fault is one of a configuration, as JSON.
type fault struct {
	Line int    `json:"line,omitempty"`
	Path string `json:"path,omitempty"`
	Got  string `json:"got,omitempty"`
	Want string `json:"want"`
}

func (c *call) checkConfig(path string) error {
	c.what += " " + path
	text, err := c.readFile(path)
	if err != nil {
		return err
	}
	_, bad := config.Parse(text)
	answer := struct {
		File   string  `json:"file"`
		Good   bool    `json:"good"`
		Faults []fault `json:"faults"`
	}{path, bad == nil, faultsOf(bad)}
	err = c.show(answer, func(w io.Writer) error {
		if bad == nil {
			_, err := fmt.Fprintf(w, "%s: good\n", path)
			return err
		}
		return nil
	})
	return errors.Join(err, bad)
}

// faultsOf lists the faults joined in an error.
func faultsOf(err error) []fault {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	faults := []fault{}
	for _, e := range all {
		if f := (*config.FieldError)(nil); errors.As(e, &f) {
			faults = append(faults, fault{f.Line, f.Path, f.Got, f.Want})
		} else if e != nil {
			faults = append(faults, fault{Want: e.Error()})
		}
	}
	return faults
}

func (c *call) showConfig(ctx context.Context) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	text, err := c.client.Text(ctx, api.PathConfig)
	if err != nil {
		return err
	}
	return c.show(map[string]string{"toml": text}, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

func (c *call) diffConfig(ctx context.Context, path string) error {
	c.what += " " + path
	text, err := c.readFile(path)
	if err != nil {
		return err
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	var changes []config.Change
	if err := c.client.Post(ctx, api.PathConfig, text, &changes); err != nil {
		return err
	}
	return c.show(list(changes), func(w io.Writer) error {
		for _, change := range changes {
			if _, err := fmt.Fprintln(w, change); err != nil {
				return err
			}
		}
		return nil
	})
}

// bare strips the file and what was done to it from an error: the complaint
// names them anyway.
func bare(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
