package token

import "testing"

func TestParse(t *testing.T) {
	hash := HashCA([]byte("ca"))
	for _, c := range []struct {
		text string
		want Token
		bad  bool
	}{
		{text: "secret", want: Token{User: "server", Password: "secret"}},
		{text: "K10" + hash + "::server:secret\n", want: Token{CAHash: hash, User: "server", Password: "secret"}},
		{text: "K10" + hash + "::secret", want: Token{CAHash: hash, User: "server", Password: "secret"}},
		{text: "K10" + hash + "::node:a:b", want: Token{CAHash: hash, User: "node", Password: "a:b"}},
		{text: "K10abc::server:secret", bad: true},
		{text: "K10" + hash + "::server:", bad: true},
		{text: " ", bad: true},
	} {
		got, err := Parse(c.text, "server")
		if (err != nil) != c.bad || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v", c.text, got, err)
		}
	}
	if again, err := Parse(Format([]byte("ca"), "server", "pw"), "node"); err != nil || again != (Token{hash, "server", "pw"}) {
		t.Errorf("a formatted token reads back as %+v, %v", again, err)
	}
}
