import { Value } from "./value";

/** Whether the last request reached the server. */
export const connection = new Value<"online" | "lost">("online");

addEventListener("offline", () => connection.set("lost"));
addEventListener("online", () => connection.set("online"));
