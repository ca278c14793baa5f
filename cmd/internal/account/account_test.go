package account

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"districtgateway/domain"
)

// kept is a Keeper over memory, by way of JSON.
type kept map[string]string

func (k kept) SaveUser(name string, row any) {
	b, err := json.Marshal(row)
	if err != nil {
		panic(err)
	}
	k[name] = string(b)
}

func (k kept) ForgetUser(name string) { delete(k, name) }

func (k kept) rows(t *testing.T) map[string]Row {
	t.Helper()
	rows := map[string]Row{}
	for name, text := range k {
		var r Row
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		rows[name] = r
	}
	return rows
}

func newBook(t *testing.T, k kept) *Book {
	t.Helper()
	b, err := NewBook(k, k.rows(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPasswordProvesTheUserAfterARestart(t *testing.T) {
	k := kept{}
	if err := newBook(t, k).Add("wang", Operator, "correct horse"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(k["wang"], "correct horse") {
		t.Error("the password itself is kept")
	}
	b := newBook(t, k)
	if role, ok := b.Verify("wang", "correct horse"); !ok || role != Operator {
		t.Errorf("the right password: %v, %v", role, ok)
	}
	for name, password := range map[string]domain.Secret{"wang": "correct horsf", "Wang": "correct horse", "nobody": "correct horse"} {
		if _, ok := b.Verify(name, password); ok {
			t.Errorf("%s got in", name)
		}
	}
	if _, ok := b.Verify("wang", domain.Secret(strings.Repeat("x", maxPassword+1))); ok {
		t.Error("a password of any length is hashed")
	}
}

func TestNobodyIsThereBeforeSomebodyIsAdded(t *testing.T) {
	b := newBook(t, kept{})
	for _, name := range []string{"", "admin", "root"} {
		if _, ok := b.Verify(name, ""); ok {
			t.Errorf("%q got in", name)
		}
		if _, ok := b.HA1(name, "MD5"); ok {
			t.Errorf("%q has a digest", name)
		}
	}
}

func TestDigestIsThatOfTheRFC(t *testing.T) {
	b := newBook(t, kept{})
	if err := b.Add("wang", Viewer, "correct horse"); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("wang:District Gateway:correct horse"))
	if got, ok := b.HA1("wang", "md5"); !ok || string(got) != hex.EncodeToString(sum[:]) {
		t.Errorf("MD5: %q", string(got))
	}
	const sha = "ab1323944f73885f7131de9a1679e27f72c0b41c9c75ffbbe629737be9e2316e" // by sha256sum
	if got, ok := b.HA1("wang", "SHA-256"); !ok || string(got) != sha {
		t.Errorf("SHA-256: %q", string(got))
	}
	if _, ok := b.HA1("wang", "SHA-512-256"); ok {
		t.Error("an algorithm that is not kept")
	}
}

func TestNewPasswordEndsTheOldOne(t *testing.T) {
	b := newBook(t, kept{})
	if err := b.Add("wang", Viewer, "correct horse"); err != nil {
		t.Fatal(err)
	}
	before, _ := b.HA1("wang", "MD5")
	if err := b.SetPassword("wang", "battery staple"); err != nil {
		t.Fatal(err)
	}
	if after, _ := b.HA1("wang", "MD5"); after == before {
		t.Error("the digest is the old one")
	}
	if _, ok := b.Verify("wang", "correct horse"); ok {
		t.Error("the old password still works")
	}
	if role, ok := b.Verify("wang", "battery staple"); !ok || role != Viewer {
		t.Errorf("the new one: %v, %v", role, ok)
	}
}

func TestLastAdminStays(t *testing.T) {
	b := newBook(t, kept{})
	for name, role := range map[string]Role{"li": Admin, "wang": Viewer} {
		if err := b.Add(name, role, "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Remove("li"); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("removed: %v", err)
	}
	if err := b.SetRole("li", Viewer); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("no admin any more: %v", err)
	}
	if err := errors.Join(b.SetRole("wang", Admin), b.Remove("li"), b.Remove("wang")); err != nil {
		t.Error(err)
	}
	if left := b.List(); len(left) > 0 {
		t.Errorf("%d users left", len(left))
	}
}

func TestWhatIsNoAccountIsRefused(t *testing.T) {
	b := newBook(t, kept{})
	if err := b.Add("wang", Viewer, "correct horse"); err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		name     string
		role     Role
		password domain.Secret
	}{
		"no name":             {"", Viewer, "correct horse"},
		"long name":           {strings.Repeat("a", maxName+1), Viewer, "correct horse"},
		"a colon":             {"wa:ng", Viewer, "correct horse"},
		"not of the alphabet": {"王", Viewer, "correct horse"},
		"a quote":             {`wa"ng`, Viewer, "correct horse"},
		"no role":             {"li", 0, "correct horse"},
		"a role too high":     {"li", Admin + 1, "correct horse"},
		"no password":         {"li", Viewer, ""},
		"short":               {"li", Viewer, "1234567"},
		"long":                {"li", Viewer, domain.Secret(strings.Repeat("a", maxPassword+1))},
		"the name":            {"administrator", Viewer, "Administrator"},
		"a control character": {"li", Viewer, "correct\nhorse"},
		"not UTF-8":           {"li", Viewer, "correct \xff horse"},
		"taken":               {"wang", Viewer, "correct horse"},
	} {
		if err := b.Add(tc.name, tc.role, tc.password); err == nil {
			t.Errorf("%s: made", what)
		}
	}
	for err, want := range map[error]error{
		b.SetPassword("li", "correct horse"): ErrUnknown, b.SetRole("li", Viewer): ErrUnknown, b.Remove("li"): ErrUnknown,
	} {
		if !errors.Is(err, want) {
			t.Errorf("an unknown user: %v", err)
		}
	}
}

func TestUsersAreBounded(t *testing.T) {
	rows := map[string]Row{}
	for i := range maxAccounts {
		rows[fmt.Sprintf("user%d", i)] = Row{Role: "viewer"}
	}
	b, err := NewBook(kept{}, rows)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add("wang", Viewer, "correct horse"); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
}

func TestDamagedRowsLetNobodyIn(t *testing.T) {
	rows := map[string]Row{"a b": {Role: "viewer"}, "li": {Role: "king"}}
	for i, hash := range []string{"", "$", "$$$", "plain", "$argon2id$v=19$m=19456,t=2,p=1$!$!", "$argon2id$v=19$m=0,t=0,p=0$AAAA$AAAA",
		"$argon2id$v=16$m=19456,t=2,p=1$AAAA$AAAA", "$argon2id$v=19$m=19456,t=2,p=1$AAAA$"} {
		rows[fmt.Sprintf("user%d", i)] = Row{Role: "admin", Hash: hash}
	}
	b, err := NewBook(kept{}, rows)
	if err == nil || !strings.Contains(err.Error(), "a b") || !strings.Contains(err.Error(), "king") {
		t.Errorf("damaged rows: %v", err)
	}
	for _, a := range b.List() {
		if _, ok := b.Verify(a.Name, ""); ok {
			t.Errorf("%s got in by %q", a.Name, string(a.hash))
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	a, err := New("wang", Viewer, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(struct{ S domain.Secret }{a.ha1.md5})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", a.hash, "account", a)
	all := fmt.Sprintf("%v %+v %s %q %x %d", a, a, a.hash, a.hash, a.hash, a.hash) + string(text) + log.String()
	for _, secret := range []domain.Secret{a.hash, a.ha1.md5, a.ha1.sha256} {
		if strings.Contains(all, string(secret)) {
			t.Errorf("printed: %s", all)
		}
	}
}
