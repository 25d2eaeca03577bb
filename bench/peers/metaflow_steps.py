"""Five steps that do nothing, one after the other, by Metaflow, which gives each a process of its own."""

import metaflow


class Steps(metaflow.FlowSpec):
    @metaflow.step
    def start(self):
        self.next(self.second)

    @metaflow.step
    def second(self):
        self.next(self.third)

    @metaflow.step
    def third(self):
        self.next(self.fourth)

    @metaflow.step
    def fourth(self):
        self.next(self.end)

    @metaflow.step
    def end(self):
        pass


if __name__ == "__main__":
    Steps()
