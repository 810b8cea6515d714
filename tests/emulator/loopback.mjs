// Loaded before the emulator: it listens on loopback only, on ports the system chooses, and ends with us.
import { Server } from "node:net";

const listen = Server.prototype.listen;

Server.prototype.listen = function (port) {
  this.once("listening", () => {
    process.stdout.write(`listening ${port} ${this.address().port}\n`);
  });
  return listen.call(this, 0, "127.0.0.1");
};

// Whoever started us holds the other end of stdin; when it is gone, however it went, so are we.
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
