module zk.tests/foreign

go 1.18

require github.com/go-zookeeper/zk v1.0.4
