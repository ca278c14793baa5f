package domain_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"districtgateway/domain"
)

func TestSecretNeverPrints(t *testing.T) {
	const hidden = "hunter2"
	held := struct{ Password domain.Secret }{hidden}
	var out strings.Builder
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", held.Password, held)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "a", held.Password, "b", held)
	if err := json.NewEncoder(&out).Encode([]any{held.Password, held}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), hidden) || strings.Contains(out.String(), fmt.Sprintf("%x", hidden)) {
		t.Errorf("leaked:\n%s", out.String())
	}
	if n := strings.Count(out.String(), "***"); n < 24 {
		t.Errorf("hidden %d times:\n%s", n, out.String())
	}
	if got := fmt.Sprintf("%v%q", domain.Secret(""), domain.Secret("")); got != "" {
		t.Errorf("none is shown as %q", got)
	}
}
