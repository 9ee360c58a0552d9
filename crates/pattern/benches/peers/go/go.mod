module reflexarc/benches/peers/go

go 1.22
