// A Fluent server that writes down the number of each record: server.js MODULE PORT KEY FILE
const fs = require("fs");
const { FluentServer } = require(process.argv[2]);
const [port, key, file] = process.argv.slice(3);

class Counting extends FluentServer {
    onEntry(tag, time, record) {
        // At once: it acknowledges a chunk before this is called.
        fs.appendFileSync(file, `${tag} ${record.n}\n`);
    }
}

const security = { serverHostname: "server", sharedKey: key, authorize: false, userDict: {} };
const listenOptions = { port: Number(port), host: "127.0.0.1" };
const server = new Counting({ security, keepalive: true, listenOptions });
server.listen().then(() => console.log("listening"));
// Not in the middle of a chunk that is acknowledged: between two turns of the loop.
process.on("SIGTERM", () => process.exit(0));
