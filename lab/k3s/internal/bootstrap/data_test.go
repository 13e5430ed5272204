package bootstrap

import "testing"

func TestSealedDataOpensWithItsPasswordOnly(t *testing.T) {
	sealed, err := Data{"ServerCA": {Content: []byte("ca")}}.Seal("right")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := Open(sealed, "right"); err != nil || string(data["ServerCA"].Content) != "ca" {
		t.Errorf("opened %v, %v", data, err)
	}
	if _, err := Open(sealed, "wrong"); err == nil {
		t.Error("a wrong password opens the data")
	}
	if Key("a") == Key("b") {
		t.Error("two passwords share a key")
	}
}
